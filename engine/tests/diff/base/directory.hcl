# Who there is: people, the groups they are in, who they report to, the workloads they answer for, and which identities
# are whose. Policies speak of these names; AWS shows them in CloudTrail as the session's source identity.
#
# An identity is proven by a token. `issuer` is an issuer's name in writ.hcl, `id` what that issuer never gives to anyone
# else (the `sub` or `oid` of its tokens, never an e-mail address: those are handed on when people leave).

timezone = "Europe/Dublin" # in which policies read the time of day and the day of the week

# --- Groups ---------------------------------------------------------------------------------------------------------

group "engineering" {
  description = "Everyone who builds and runs the product"
}

group "oncall" {
  description = "Who carries the pager this week"
  groups      = ["engineering"]
}

group "payments-leads" {
  description = "Answer for the payments system"
  groups      = ["engineering"]
}

group "platform-leads" {
  description = "Answer for what all systems run on"
  groups      = ["engineering"]
}

group "security" {
  description = "The security team"
}

group "contractors" {
  description = "People from outside, on a contract with an end"
}

group "auditors" {
  description = "May see every request and event, and ask for nothing"
}

group "pipelines" {
  description = "CI jobs"
}

# --- People ---------------------------------------------------------------------------------------------------------

user "mia" {
  name    = "Mia Ahmed"
  manager = "pat"
  groups  = ["engineering"]

  identity {
    issuer = "corp"
    id     = "00u1mia"
  }
}

user "pat" {
  name   = "Pat Byrne"
  groups = ["payments-leads", "platform-leads"]

  identity {
    issuer = "corp"
    id     = "00u2pat"
  }
}

user "lee" {
  name    = "Lee Novak"
  manager = "pat"
  groups  = ["payments-leads"]

  identity {
    issuer = "corp"
    id     = "00u3lee"
  }
}

user "sam" {
  name    = "Sam Okafor"
  manager = "pat"
  groups  = ["oncall"]

  identity {
    issuer = "corp"
    id     = "00u4sam"
  }
}

user "zoe" {
  name   = "Zoe Lindqvist"
  groups = ["security"]

  identity {
    issuer = "corp"
    id     = "00u5zoe"
  }
}

user "kim" {
  name    = "Kim Tanaka"
  manager = "zoe"
  groups  = ["security"]

  identity {
    issuer = "corp"
    id     = "00u6kim"
  }
}

user "dana" {
  name    = "Dana Silva"
  manager = "pat"
  groups  = ["engineering", "contractors"]

  identity {
    issuer = "corp"
    id     = "00u7dana"
  }
}

user "audrey" {
  name   = "Audrey Martin"
  groups = ["auditors"]

  identity {
    issuer = "corp"
    id     = "00u8audrey"
  }
}

# --- Workloads ------------------------------------------------------------------------------------------------------

# The GitHub repository acme/payments. Its id stays when it is renamed and is never given to another; each further key is
# a claim that the job's token must carry, here the id of the organisation that owns the repository. What the job may do
# from which branch is policy: access.cedar.
workload "payments-ci" {
  owner  = "lee" # answers for it: its requests count as Lee's, so Lee cannot approve them
  groups = ["pipelines"]

  identity {
    issuer              = "github"
    repository_id       = "4201"
    repository_owner_id = "77"
  }
}
