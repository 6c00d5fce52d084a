check "access" {
  data "writ_access_decision" "db" {
    scope    = "prod-db-write"
    duration = "45m"
  }

  assert {
    condition     = data.writ_access_decision.db.decision != "denied"
    error_message = data.writ_access_decision.db.explanation
  }
}
