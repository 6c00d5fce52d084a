# The freeze over the holidays: 24 December to 2 January, both midnights in UTC. When a new one is decided on, write its
# policy beside the old one and copy these tests.

at = "2026-12-25T09:00:00Z"

user "engineer" {
  groups  = ["engineering"]
  manager = "zoe"
}

token "main" {
  workload = "payments-ci"
  claims = {
    ref        = "refs/heads/main"
    event_name = "push"
  }
}

test "production does not change during the freeze" {
  cases = [
    { token = "main", scope = "payments-deploy", duration = "1s", expect = "denied", policies = ["guard.freeze.2026-12"] },
    { user = "engineer", scope = "prod-admin", duration = "1s", ticket = "INC-42", expect = "denied", policies = ["guard.freeze.2026-12"] },
  ]
}

test "reading and staging go on during the freeze" {
  user = "engineer"

  cases = [
    { scope = "prod-db-read", longest = "4h", expect = "needs_approval" },
    { scope = "staging-admin", longest = "4h", expect = "needs_approval" },
  ]
}

test "a window may end when the freeze begins, and not a second later" {
  token = "main"
  scope = "payments-deploy"

  cases = [
    { at = "2026-12-23T23:50:00Z", longest = "10m", expect = "granted" },
    { at = "2026-12-23T23:40:00Z", longest = "20m", expect = "granted" },
    { at = "2026-12-23T23:59:59Z", longest = "1s", expect = "granted" },
    { at = "2026-12-24T00:00:00Z", duration = "1s", expect = "denied", policies = ["guard.freeze.2026-12"] },
  ]
}

test "the freeze ends with the first second of 2 January" {
  token = "main"
  scope = "payments-deploy"

  cases = [
    { at = "2027-01-01T23:59:59Z", duration = "1s", expect = "denied", policies = ["guard.freeze.2026-12"] },
    { at = "2027-01-02T00:00:00Z", longest = "20m", expect = "granted" },
  ]
}

test "whom the freeze stops" {
  who_can "payments-deploy" {}
  who_can "prod-admin" {}
}
