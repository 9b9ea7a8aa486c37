# Where functions run. What is null comes from deploy/deploy.yaml, which the verbs read too.

variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where functions run, and their bucket is."
  type        = string
  default     = null
}

variable "bucket" {
  description = "The bucket of the models, without gs://; PROJECT-models where deploy.yaml has none either."
  type        = string
  default     = null
}

variable "backend" {
  description = "Which of Google's APIs makes a function: functions or run."
  type        = string
  default     = null

  validation {
    condition     = var.backend == null || contains(["functions", "run"], coalesce(var.backend, "functions"))
    error_message = "There are functions and run."
  }
}

variable "families" {
  description = "Names of folders in functions/; all where deploy.yaml has none either."
  type        = list(string)
  default     = null
}

variable "accounts" {
  description = "Names of the service accounts that publish, deploy, build, warm up and run batch jobs."
  type = object({
    publisher = string
    deployer  = string
    builder   = string
    warmup    = string
    batch     = string
  })
  default = null
}

variable "images" {
  description = "The Artifact Registry repository of the functions' images."
  type        = string
  default     = null
}

variable "github" {
  description = "What Cloud Build's trigger listens to: a connected repository, and a regular expression of branches."
  type = object({
    repository = string
    branch     = string
  })
  default = null
}

variable "ci" {
  description = "The system of CI elsewhere that releases as the deployer: github, gitlab or jenkins, whose runs, of which branch."
  type = object({
    system     = string
    repository = string
    branch     = string
    issuer     = optional(string)
  })
  default = null
}
