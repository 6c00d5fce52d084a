# What the policies promise of staging.

at = "2026-11-21T09:00:00Z"

user "engineer" {
  groups  = ["engineering"]
  manager = "zoe"
}

user "contractor" {
  groups  = ["engineering", "contractors"]
  manager = "zoe"
}

test "an engineer is admin of staging for an afternoon if an owner agrees" {
  scope = "staging-admin"

  cases = [
    { user = "engineer", longest = "4h", expect = "needs_approval", policies = ["staging.admin.engineer"], approvers = { owner = ["group:payments-leads"] } },
    { user = "engineer", longest = "4h", approvals = { owner = ["lee"] }, expect = "granted", policies = ["staging.admin.engineer"] },
    { user = "engineer", duration = "1h", approvals = { manager = ["zoe"] }, expect = "needs_approval" },
    # An owner asks the other owner.
    { user = "lee", duration = "1h", expect = "needs_approval", approvers = { owner = ["pat"] } },
    { user = "contractor", longest = "30m", approvals = { owner = ["lee"] }, expect = "granted" },
  ]
}

who_can "staging-admin" {
  needs_approval = {
    "4h"  = ["group:engineering"]
    "30m" = ["contractor", "dana"]
  }
}
