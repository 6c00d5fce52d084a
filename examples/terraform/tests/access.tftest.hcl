# What whoever runs this may have, and with whose consent, before anything is asked for. `terraform test` runs it.

provider "writ" {}

run "reading_the_database_needs_nobody" {
  command = plan

  module {
    source = "./tests/access"
  }

  variables {
    scope    = "prod-db-read"
    duration = "30m"
  }

  assert {
    condition     = data.writ_access_decision.this.decision == "granted"
    error_message = data.writ_access_decision.this.explanation
  }
}

run "changing_production_needs_an_owner_and_someone_from_security" {
  command = plan

  module {
    source = "./tests/access"
  }

  variables {
    scope    = "prod-admin"
    duration = "30m"
    ticket   = "INC-42"
  }

  assert {
    condition     = data.writ_access_decision.this.decision == "needs_approval"
    error_message = data.writ_access_decision.this.explanation
  }

  assert {
    condition     = contains(data.writ_access_decision.this.approvers, "zoe")
    error_message = "nobody from security could approve it: ${data.writ_access_decision.this.explanation}"
  }
}

run "an_hour_is_the_longest_window_in_production" {
  command = plan

  module {
    source = "./tests/access"
  }

  variables {
    scope    = "prod-admin"
    duration = "2h"
    ticket   = "INC-42"
  }

  assert {
    condition     = data.writ_access_decision.this.decision == "denied"
    error_message = data.writ_access_decision.this.explanation
  }

  assert {
    condition     = data.writ_access_decision.this.longest_duration == "1h"
    error_message = "the longest window is ${data.writ_access_decision.this.longest_duration}"
  }
}
