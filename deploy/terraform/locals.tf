# deploy/cloud/resources.yaml, filled in as deploy/cloud/resources.py does it.

locals {
  deploy    = yamldecode(file("${path.module}/../deploy.yaml"))
  resources = yamldecode(file("${path.module}/../cloud/resources.yaml"))
  functions = "${path.module}/../../functions"

  region   = coalesce(var.region, local.deploy.region)
  bucket   = try(coalesce(var.bucket, local.deploy.bucket), "${var.project}-models")
  builds   = "${var.project}-builds"
  batches  = "${var.project}-batch"
  backend  = coalesce(var.backend, local.deploy.backend)
  accounts = { for office in ["publisher", "deployer", "builder", "warmup", "batch"] : office => try(var.accounts[office], local.deploy.accounts[office]) }
  images   = coalesce(var.images, local.deploy.images)
  github   = try({ repository = var.github.repository, branch = var.github.branch }, { repository = local.deploy.github.repository, branch = local.deploy.github.branch }, null)
  ci       = try({ system = var.ci.system, repository = var.ci.repository, branch = var.ci.branch, issuer = var.ci.issuer }, { system = local.deploy.ci.system, repository = local.deploy.ci.repository, branch = local.deploy.ci.branch, issuer = try(local.deploy.ci.issuer, null) }, null)
  families = sort(try(tolist(coalescelist(var.families)), tolist(coalescelist(local.deploy.families)), [for path in fileset(local.functions, "*/main.py") : dirname(path)]))

  # By family, what its flags say of each backend.
  flags = {
    for family in local.families : family => [
      for name in ["flags.yaml", "run.yaml"] : yamldecode(file("${local.functions}/${family}/${name}"))
      if fileexists("${local.functions}/${family}/${name}")
    ]
  }
  variables = {
    for family, files in local.flags : family => merge([
      for pair in setproduct(files, ["--set-env-vars", "--update-env-vars"]) : lookup(pair[0], pair[1], {})
    ]...)
  }
  mounted = {
    for family, files in local.flags : family => distinct(flatten([
      for pair in setproduct(files, ["--set-secrets", "--update-secrets"]) : [
        for mount in values(lookup(pair[0], pair[1], {})) : trimsuffix(mount, regex(":[^:]*$", mount))
      ]
    ]))
  }
  keyed = [
    for family, found in local.variables : family
    if family != "gateway" && !contains(keys(found), "ACCESS_KEYS") && contains(split(",", replace(lookup(found, "ACCESS", ""), " ", ",")), "keys")
  ]
  secrets = distinct(concat(keys(local.resources.secrets), flatten(values(local.mounted))))

  # Who of a system of CI elsewhere may be the deployer.
  system = local.ci == null ? null : local.resources.ci[local.ci.system]
  claims = local.ci == null ? {} : {
    for claim, value in local.system.claims :
    claim => replace(replace(value, "{repository}", local.ci.repository), "{branch}", local.ci.branch)
  }
  federation = local.ci == null ? null : {
    issuer    = try(coalesce(local.ci.issuer), local.system.issuer)
    mapping   = { "google.subject" = "assertion.sub", "attribute.repository" = "assertion.${local.system.repository}" }
    condition = join(" && ", [for claim, value in local.claims : "assertion.${claim} == \"${value}\""])
    of        = "attribute.repository/${local.claims[local.system.repository]}"
  }

  account_names = merge(
    { for office, name in local.accounts : name => {
      publisher = "Writes models to the bucket"
      deployer  = "Releases functions"
      builder   = "Builds functions into images"
      warmup    = "Asks functions to warm up"
      batch     = "Runs batch jobs on Dataflow"
    }[office] },
    { for family in local.families : "fn-${replace(family, "_", "-")}" => "Runs the function ${replace(family, "_", "-")}" },
  )

  of_functions = { for family in local.families : family => { family = family, account = "fn-${replace(family, "_", "-")}" } }
  grantees = merge(
    { for office, name in local.accounts : office => [{ family = "", account = name }] },
    {
      functions = [for family, one in local.of_functions : one if family != "gateway"]
      gateway   = [for family, one in local.of_functions : one if family == "gateway"]
      keyed     = [for family, one in local.of_functions : one if contains(local.keyed, family)]
      mounting  = [for family, one in local.of_functions : one if length(local.mounted[family]) > 0]
    },
  )
  places = merge(
    {
      project                   = [{ kind = "project", name = var.project }]
      bucket                    = [{ kind = "bucket", name = local.bucket }]
      builds                    = [{ kind = "bucket", name = local.builds }]
      batches                   = [{ kind = "bucket", name = local.batches }]
      images                    = [{ kind = "images", name = local.images }]
      "all functions' accounts" = [for one in values(local.of_functions) : { kind = "account", name = one.account }]
    },
    { for office, name in local.accounts : "${office}'s account" => [{ kind = "account", name = name }] },
    { for name in local.secrets : name => [{ kind = "secret", name = name }] },
    { for family, names in local.mounted : "mounted secrets ${family}" => [for name in names : { kind = "secret", name = name }] },
  )

  grants = flatten([
    for rule in local.resources.grants : [
      for grantee in local.grantees[rule.to] : [
        for place in local.places[rule.at == "mounted secrets" ? "${rule.at} ${grantee.family}" : rule.at] : {
          kind       = place.kind
          name       = place.name
          role       = rule.role
          account    = grantee.account
          title      = try(rule.only.title, "")
          expression = replace(replace(replace(try(rule.only.if, ""), "{project}", var.project), "{bucket}", local.bucket), "{family}", grantee.family)
        }
      ]
    ] if try(rule.backend, local.backend) == local.backend
  ])
  grants_by_kind = {
    for kind in ["project", "bucket", "images", "secret", "account"] : kind => {
      for grant in local.grants : "${grant.account} ${grant.role} ${grant.name} ${grant.title}" => grant if grant.kind == kind
    }
  }
}
