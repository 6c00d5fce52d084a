at = "2026-11-20T09:00:00Z" # a Friday

user "newcomer" {
  groups  = ["engineering"]
  manager = "sam"
}

test "the pager" {
  user  = "sam"
  scope = "db-read"
  cases = [
    { longest = "1h", expect = "granted", policies = ["db.read.oncall"] },
    { longest = "4h", ticket = "INC-1", expect = "needs_approval", approvers = { manager = ["pat"] } },
  ]
}

test "an engineer" {
  scope = "db-read"
  cases = [
    { user = "mia", longest = "4h", ticket = "INC-1", approvals = { manager = ["pat"] }, expect = "granted" },
    { user = "newcomer", duration = "1h", ticket = "INC-1", approvals = { manager = ["pat"] }, expect = "needs_approval", approvers = { manager = ["sam"] }, viewers = ["sam"] },
    { user = "mia", duration = "1h", ticket = "INC-1", at = "2026-11-21T09:00:00Z", expect = "denied" },
    { user = "mia", duration = "1h", expect = "denied", policies = ["db.read.engineer"], viewers = [] },
  ]

  who_can "db-read" {
    granted        = { "1h" = ["sam"] }
    needs_approval = { "4h" = ["group:engineering"] }
    extend {}
  }
}
