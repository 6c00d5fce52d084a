# What the policies promise of the rest of a grant's life: a longer window, an emergency, an early end, a post-review, and a
# right to consent that is lent.

at = "2026-11-21T09:00:00Z"

user "engineer" {
  groups  = ["engineering"]
  manager = "zoe"
}

user "pager" {
  groups  = ["oncall"]
  manager = "zoe"
}

user "watchful-pager" {
  groups = ["oncall", "security"]
}

user "contractor" {
  groups  = ["engineering", "contractors"]
  manager = "zoe"
}

user "contracted-pager" {
  groups = ["oncall", "contractors"]
}

user "contracted-lead" {
  groups = ["payments-leads", "contractors"]
}

user "payments-lead" {
  groups = ["payments-leads"]
}

user "platform-lead" {
  groups = ["platform-leads"]
}

# --- A longer window ------------------------------------------------------------------------------------------------

test "on call, an hour becomes two, once" {
  user  = "pager"
  scope = "prod-db-read"

  cases = [
    { extend = { from = "1h" }, longest = "2h", expect = "granted", policies = ["proddb.read.extend"] },
    { extend = { from = "1h", to = "2h", extensions = 1 }, expect = "needs_approval", policies = ["proddb.read.extend.manager"], approvers = { manager = ["zoe"] } },
    { at = "2026-12-25T09:00:00Z", extend = { from = "1h" }, longest = "2h", expect = "granted" },
  ]
}

test "an engineer goes on for a working day in all if the manager agrees again" {
  user  = "engineer"
  scope = "prod-db-read"

  cases = [
    { extend = { from = "1h", to = "2h" }, expect = "needs_approval", policies = ["proddb.read.extend.manager"], approvers = { manager = ["zoe"] } },
    { extend = { from = "4h", extensions = 3 }, longest = "8h", approvals = { manager = ["zoe"] }, expect = "granted", policies = ["proddb.read.extend.manager"] },
    { extend = { from = "4h", to = "8h" }, approvals = { owner = ["lee"] }, expect = "needs_approval" },
    { extend = { from = "8h", to = "8h1s" }, approvals = { manager = ["zoe"] }, expect = "denied" },
    { user = "contractor", extend = { from = "20m" }, longest = "30m", expect = "needs_approval" },
    { user = "contractor", extend = { from = "30m", to = "31m" }, expect = "denied", policies = ["guard.contractors.short"] },
  ]
}

test "nothing else is made longer" {
  cases = [
    { user = "watchful-pager", scope = "prod-admin", extend = { from = "30m", to = "1h" }, expect = "denied", policies = [] },
    { user = "engineer", scope = "staging-admin", extend = { from = "1h", to = "2h" }, expect = "denied", policies = [] },
    { user = "kim", scope = "prod-db-read", extend = { from = "1h", to = "2h" }, expect = "denied", policies = [] },
  ]
}

# --- An emergency ---------------------------------------------------------------------------------------------------

test "on call, the glass is broken at once, also during a freeze" {
  user = "pager"

  cases = [
    { scope = "prod-admin", break_glass = true, longest = "1h", expect = "granted", policies = ["prod.admin.emergency"] },
    { scope = "payments-deploy", break_glass = true, longest = "30m", expect = "granted", policies = ["payments.deploy.emergency"] },
    { scope = "prod-admin", at = "2026-12-25T09:00:00Z", break_glass = true, duration = "1h", expect = "granted" },
    # It is another wish than the usual one, and for nothing else.
    { scope = "prod-admin", duration = "1m", expect = "denied", policies = ["prod.admin"] },
    { scope = "prod-db-read", break_glass = true, duration = "1m", expect = "denied", policies = [] },
  ]
}

test "whoever owes a post-review breaks no further glass" {
  user = "pager"

  cases = [
    { scope = "prod-admin", break_glass = true, open_reviews = 1, duration = "1s", expect = "denied", policies = ["prod.admin.emergency"] },
    { scope = "payments-deploy", break_glass = true, open_reviews = 1, duration = "1s", expect = "denied", policies = ["payments.deploy.emergency"] },
  ]
}

test "nobody else breaks the glass, and contractors never do" {
  cases = [
    { user = "engineer", scope = "prod-admin", break_glass = true, duration = "1s", expect = "denied", policies = [] },
    { user = "engineer", scope = "payments-deploy", break_glass = true, duration = "1s", expect = "denied", policies = [] },
    { user = "contracted-pager", scope = "prod-admin", break_glass = true, duration = "1s", expect = "denied", policies = ["guard.contractors.emergency"] },
    { user = "contracted-pager", scope = "payments-deploy", break_glass = true, duration = "1s", expect = "denied", policies = ["guard.contractors.emergency"] },
  ]
}

# --- Who has a say in it --------------------------------------------------------------------------------------------

test "security and the scope's owners end what someone has, and security closes a post-review that is not its own" {
  cases = [
    { user = "engineer", scope = "staging-admin", duration = "1h", expect = "needs_approval", revokers = ["group:security", "group:payments-leads"] },
    { user = "pager", scope = "prod-admin", break_glass = true, duration = "1h", expect = "granted", revokers = ["group:security", "group:platform-leads"], reviewers = ["group:security"] },
    { user = "watchful-pager", scope = "prod-admin", break_glass = true, duration = "1h", expect = "granted", reviewers = ["kim", "zoe"] },
  ]
}

test "a lead lends the right to consent to another lead, and nobody else does" {
  scope = "prod-db-read"

  cases = [
    { user = "payments-lead", duration = "1h", expect = "needs_approval", delegates = ["lee", "pat", "platform-lead"] },
    { user = "platform-lead", duration = "1h", expect = "needs_approval", delegates = ["lee", "pat", "payments-lead"] },
    { user = "engineer", duration = "1h", expect = "needs_approval", delegates = [] },
    { user = "contracted-lead", duration = "30m", expect = "needs_approval", delegates = [] },
  ]
}

test "a right that was lent counts as its lender's" {
  user  = "engineer"
  scope = "staging-admin"

  cases = [
    { duration = "1h", approvals = { owner = ["platform-lead"] }, lent = { platform-lead = "lee" }, expect = "granted", policies = ["staging.admin.engineer"] },
    # Without it the lead of another system owns nothing here; and what nobody has cannot be lent.
    { duration = "1h", approvals = { owner = ["platform-lead"] }, expect = "needs_approval" },
    { duration = "1h", approvals = { owner = ["payments-lead"] }, lent = { payments-lead = "platform-lead" }, expect = "needs_approval" },
    { duration = "1h", approvals = { owner = ["engineer"] }, lent = { engineer = "lee" }, expect = "needs_approval" },
    { user = "platform-lead", duration = "1h", approvals = { owner = ["platform-lead"] }, lent = { platform-lead = "lee" }, expect = "needs_approval" },
  ]
}
