# Who may what. Each is a member of its own: what somebody else has granted stays.

resource "google_project_iam_member" "grant" {
  for_each = local.grants_by_kind.project
  project  = var.project
  role     = each.value.role
  member   = google_service_account.account[each.value.account].member

  dynamic "condition" {
    for_each = each.value.title == "" ? [] : [each.value]
    content {
      title      = condition.value.title
      expression = condition.value.expression
    }
  }
}

resource "google_storage_bucket_iam_member" "grant" {
  for_each = local.grants_by_kind.bucket
  bucket   = google_storage_bucket.bucket[each.value.name].name
  role     = each.value.role
  member   = google_service_account.account[each.value.account].member

  dynamic "condition" {
    for_each = each.value.title == "" ? [] : [each.value]
    content {
      title      = condition.value.title
      expression = condition.value.expression
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "grant" {
  for_each   = local.grants_by_kind.images
  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = each.value.role
  member     = google_service_account.account[each.value.account].member
}

resource "google_secret_manager_secret_iam_member" "grant" {
  for_each  = local.grants_by_kind.secret
  project   = var.project
  secret_id = google_secret_manager_secret.secret[each.value.name].secret_id
  role      = each.value.role
  member    = google_service_account.account[each.value.account].member
}

resource "google_service_account_iam_member" "grant" {
  for_each           = local.grants_by_kind.account
  service_account_id = google_service_account.account[each.value.name].name
  role               = each.value.role
  member             = google_service_account.account[each.value.account].member
}

resource "google_service_account_iam_member" "lent" {
  count              = local.ci == null ? 0 : 1
  service_account_id = google_service_account.account[local.accounts.deployer].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.ci[0].name}/${local.federation.of}"
}
