# What `python -m deploy bootstrap` makes, for those who prefer Terraform. Both read deploy/cloud/resources.yaml.

terraform {
  required_version = ">= 1.3"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = local.region
}

resource "google_project_service" "api" {
  for_each           = local.resources.apis
  project            = var.project
  service            = each.key
  disable_on_destroy = false
}

resource "google_service_account" "account" {
  for_each     = local.account_names
  project      = var.project
  account_id   = each.key
  display_name = each.value
  depends_on   = [google_project_service.api]
}

resource "google_storage_bucket" "bucket" {
  for_each                    = { (local.bucket) = local.resources.bucket, (local.builds) = local.resources.builds, (local.batches) = local.resources.batches }
  project                     = var.project
  name                        = each.key
  location                    = local.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = each.value.soft_delete_days * 86400
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.lifecycle.rule
    content {
      action {
        type = lifecycle_rule.value.action.type
      }
      condition {
        age                        = try(lifecycle_rule.value.condition.age, null)
        days_since_noncurrent_time = try(lifecycle_rule.value.condition.daysSinceNoncurrentTime, null)
      }
    }
  }

  # Models are not to go with a `terraform destroy`.
  lifecycle {
    prevent_destroy = true
  }
  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret" "secret" {
  for_each  = toset(local.secrets)
  project   = var.project
  secret_id = each.key
  replication {
    auto {}
  }
  depends_on = [google_project_service.api]
}

resource "google_artifact_registry_repository" "images" {
  project                = var.project
  location               = local.region
  repository_id          = local.images
  format                 = "DOCKER"
  cleanup_policy_dry_run = false

  dynamic "cleanup_policies" {
    for_each = { for policy in local.resources.images : policy.name => policy }
    content {
      id     = cleanup_policies.key
      action = cleanup_policies.value.action.type

      dynamic "condition" {
        for_each = try([cleanup_policies.value.condition], [])
        content {
          tag_state  = condition.value.tagState
          older_than = condition.value.olderThan
        }
      }
      dynamic "most_recent_versions" {
        for_each = try([cleanup_policies.value.mostRecentVersions], [])
        content {
          keep_count = most_recent_versions.value.keepCount
        }
      }
    }
  }
  depends_on = [google_project_service.api]
}

resource "google_cloudbuild_trigger" "release" {
  count           = local.github == null ? 0 : 1
  project         = var.project
  name            = "model-functions"
  location        = split("/", local.github.repository)[3]
  filename        = "cloudbuild.yaml"
  ignored_files   = ["docs/**", "*.md", "LICENSE"]
  substitutions   = { _DEPLOYER = local.accounts.deployer }
  service_account = google_service_account.account[local.accounts.deployer].id

  repository_event_config {
    repository = local.github.repository
    push {
      branch = local.github.branch
    }
  }
}

# A system of CI elsewhere is the deployer by tokens of its own.

resource "google_iam_workload_identity_pool" "ci" {
  count                     = local.ci == null ? 0 : 1
  project                   = var.project
  workload_identity_pool_id = "model-functions"
  display_name              = "Model Functions"
  depends_on                = [google_project_service.api]
}

resource "google_iam_workload_identity_pool_provider" "ci" {
  count                              = local.ci == null ? 0 : 1
  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.ci[0].workload_identity_pool_id
  workload_identity_pool_provider_id = local.ci.system
  attribute_mapping                  = local.federation.mapping
  attribute_condition                = local.federation.condition

  oidc {
    issuer_uri = local.federation.issuer
  }
}
