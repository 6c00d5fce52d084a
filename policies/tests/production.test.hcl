# What the policies promise of production. `writ policy test` asks the real engine, at the moments named here, without a
# broker; README.md of this folder's parent says how to read and change all this.

at = "2026-11-21T09:00:00Z" # a Saturday, well before the freeze

# People who exist in this file only, so that it holds whoever comes and goes in directory.hcl.
user "engineer" {
  groups  = ["engineering"]
  manager = "zoe" # in no group that owns anything
}

user "pager" {
  groups  = ["oncall"]
  manager = "zoe"
}

user "contractor" {
  groups  = ["engineering", "contractors"]
  manager = "zoe"
}

user "supervised-by-contractor" {
  groups  = ["engineering"]
  manager = "contractor"
}

user "outsider" {
  manager = "zoe"
}

test "on call, reading the production database needs nobody for an hour" {
  user  = "pager"
  scope = "prod-db-read"

  cases = [
    { longest = "1h", expect = "granted", policies = ["proddb.read.oncall"] },
    # Without a ticket an engineer's way is left, with one the pager's own and an owner's too.
    { longest = "4h", expect = "needs_approval", policies = ["proddb.read.engineer"], approvers = { manager = ["zoe"] } },
    { duration = "4h", ticket = "INC-42", approvals = { manager = ["zoe"] }, expect = "granted", policies = ["proddb.read.engineer", "proddb.read.oncall.long"] },
    { longest = "4h", ticket = "INC-42", approvals = { manager = ["zoe"] }, expect = "granted" },
    { duration = "4h", approvals = { manager = ["zoe"] }, expect = "granted", policies = ["proddb.read.engineer"] },
    { duration = "2h", ticket = "INC-42", expect = "needs_approval", policies = ["proddb.read.engineer", "proddb.read.engineer.long", "proddb.read.oncall.long"] },
    { duration = "5h", ticket = "INC-42", expect = "needs_approval", policies = ["proddb.read.engineer.long"] },
  ]
}

test "an engineer reads the production database for an afternoon if the manager agrees, for a day if an owner does" {
  user  = "engineer"
  scope = "prod-db-read"

  cases = [
    { duration = "1s", expect = "needs_approval", policies = ["proddb.read.engineer"], approvers = { manager = ["zoe"] } },
    { longest = "4h", expect = "needs_approval" },
    { longest = "4h", approvals = { manager = ["zoe"] }, expect = "granted", policies = ["proddb.read.engineer"] },
    { longest = "8h", ticket = "INC-42", approvals = { owner = ["lee"] }, expect = "granted", policies = ["proddb.read.engineer.long"] },
    { duration = "8h", ticket = "INC-42", expect = "needs_approval", approvers = { owner = ["group:payments-leads"] } },
    # The consent of a manager is none of an owner, and an owner's does not help without a ticket.
    { duration = "8h", ticket = "INC-42", approvals = { manager = ["zoe"] }, expect = "needs_approval" },
    { duration = "4h", approvals = { owner = ["lee"] }, expect = "needs_approval" },
    { duration = "8h", approvals = { owner = ["lee"] }, expect = "denied" },
    { duration = "8h1s", ticket = "INC-42", expect = "denied" },
  ]
}

test "whoever has no manager finds nobody to ask as one" {
  cases = [
    { user = "pat", scope = "prod-db-read", duration = "1h", expect = "needs_approval", approvers = { manager = [] } },
    { user = "pat", scope = "prod-db-read", duration = "1h", ticket = "INC-42", expect = "needs_approval", approvers = { manager = [], owner = ["lee"] } },
  ]
}

test "production admin takes an owner, someone else from security, and a ticket, for an hour" {
  user  = "engineer"
  scope = "prod-admin"

  cases = [
    { longest = "1h", ticket = "INC-42", expect = "needs_approval", policies = ["prod.admin"], approvers = { owner = ["group:platform-leads"], security = ["group:security"] } },
    { longest = "1h", ticket = "INC-42", approvals = { owner = ["pat"], security = ["kim"] }, expect = "granted", policies = ["prod.admin"] },
    { duration = "1h", ticket = "INC-42", approvals = { owner = ["pat"] }, expect = "needs_approval", approvers = { security = ["group:security"] } },
    { duration = "1h", ticket = "INC-42", approvals = { security = ["kim"] }, expect = "needs_approval", approvers = { owner = ["group:platform-leads"] } },
    # As a manager Zoe may consent too, but it is not asked for; Lee owns another system.
    { duration = "1h", ticket = "INC-42", approvals = { manager = ["zoe"], owner = ["lee"] }, expect = "needs_approval" },
    { duration = "1h", approvals = { owner = ["pat"], security = ["kim"] }, expect = "denied" },
  ]
}

test "nobody consents to their own request" {
  cases = [
    { user = "lee", scope = "prod-db-read", duration = "6h", ticket = "INC-42", approvals = { owner = ["lee"] }, expect = "needs_approval", approvers = { owner = ["pat"] } },
    { user = "pat", scope = "prod-admin", duration = "1h", ticket = "INC-42", expect = "needs_approval", approvers = { owner = [], security = ["group:security"] } },
  ]
}

test "contractors get half an hour, and consent to nothing" {
  cases = [
    { user = "contractor", scope = "prod-db-read", longest = "30m", expect = "needs_approval", approvers = { manager = ["zoe"] } },
    { user = "contractor", scope = "prod-db-read", longest = "30m", approvals = { manager = ["zoe"] }, expect = "granted" },
    { user = "contractor", scope = "prod-db-read", duration = "31m", expect = "denied", policies = ["guard.contractors.short"] },
    { user = "supervised-by-contractor", scope = "prod-db-read", duration = "1h", approvals = { manager = ["contractor"] }, expect = "needs_approval", approvers = { manager = [] } },
  ]
}

test "who may see a request" {
  cases = [
    # Zoe may consent; nobody else but the auditor has a part in it.
    { user = "engineer", scope = "prod-db-read", duration = "1h", expect = "needs_approval", viewers = ["audrey", "kim", "lee", "pat", "zoe"] },
    { user = "outsider", scope = "prod-db-read", duration = "1h", expect = "denied", viewers = ["audrey"] },
  ]
}

# --- Everyone who can have it, and how long at most; whoever is not listed can not --------------------------------------

who_can "prod-db-read" {
  granted = {
    "1h" = ["group:oncall"]
  }
  needs_approval = {
    "8h"  = ["group:engineering"]
    "30m" = ["contractor", "dana"]
  }

  # How long a window can be once it is extended.
  extend {
    granted = { "2h" = ["group:oncall"] }
    needs_approval = {
      "8h"  = ["group:engineering"]
      "30m" = ["contractor", "dana"]
    }
  }
}

who_can "prod-admin" {
  needs_approval = {
    "1h"  = ["group:engineering"]
    "30m" = ["contractor", "dana"]
  }

  # Of whoever owes no post-review.
  break_glass {
    granted = { "1h" = ["group:oncall"] }
  }
}
