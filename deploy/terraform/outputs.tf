output "model_store" {
  description = "MODEL_STORE of whoever publishes."
  value       = "gs://${google_storage_bucket.bucket[local.bucket].name}"
}

output "accounts" {
  description = "The accounts' addresses, by name."
  value       = { for name, account in google_service_account.account : name => account.email }
}
