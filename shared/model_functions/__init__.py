"""Model Functions: trained models served as plain Cloud Functions."""
