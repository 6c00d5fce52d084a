at = "2026-11-20T09:00:00Z"

token "main" {
  workload = "shop-ci"
  claims   = { ref = "refs/heads/main" }
}

token "branch" {
  workload = "shop-ci"
  claims   = { ref = "refs/heads/x" }
}

test "each answer that is not the expected one is explained" {
  scope = "db-read"
  cases = [
    { user = "mia", duration = "1h", expect = "granted" },
    { user = "mia", duration = "1h", ticket = "INC-1", expect = "granted" },
    { user = "sam", duration = "1h", expect = "denied" },
    { token = "branch", scope = "deploy", duration = "1m", expect = "granted" },
    { token = "main", scope = "deploy", at = "2026-12-23T23:59:00Z", duration = "2m", expect = "granted" },
    { token = "main", duration = "1m", expect = "granted" },
  ]
}

test "what else is expected" {
  scope = "db-read"
  cases = [
    { user = "sam", duration = "1h", expect = "granted", policies = ["db.read.engineer"] },
    { user = "mia", duration = "1h", ticket = "INC-1", expect = "needs_approval", approvers = { manager = ["sam"] } },
    { user = "sam", longest = "30m", expect = "granted" },
    { user = "sam", longest = "2h", expect = "granted" },
    { user = "mia", longest = "8h", ticket = "INC-1", expect = "needs_approval" },
    { user = "mia", duration = "1h", ticket = "INC-1", expect = "needs_approval", viewers = [] },
    { user = "sam", duration = "1h", expect = "granted" },
  ]
}

who_can "db-read" {
  granted        = { "2h" = ["sam"] }
  needs_approval = { "4h" = ["mia", "sam"] }
  denied         = ["group:engineering"]
  break_glass {
    granted = { "1h" = ["sam"] }
  }
}

invariant "the pager waits for someone too" {
  approvals_min = 1
}

invariant "an hour at most" {
  scopes  = ["db-read"]
  longest = "1h"
}

invariant "someone consents" {
  approver_exists = true
}
