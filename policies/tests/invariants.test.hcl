# Promises that no change of the policies may break, about everyone in directory.hcl and at any time. They are checked by
# asking about each of them at every moment at which some policy begins to answer differently.
#
# Whoever wants to change a line here wants to change what this organisation promises: ask for that in a pull request of its
# own.

at = "2026-11-21T09:00:00Z"

invariant "production admin takes two people's consent, but in an emergency" {
  scopes        = ["prod-admin"]
  actions       = ["activate", "extend"] # all three where it is left out; the third is `breakGlass`
  approvals_min = 2
}

invariant "production admin lasts an hour at most" {
  scopes  = ["prod-admin"]
  longest = "1h"
}

invariant "a person changes production only with someone's consent, but in an emergency" {
  scopes        = ["prod-admin", "payments-deploy"]
  actions       = ["activate", "extend"]
  except        = ["workload:payments-ci"] # which deploys what was reviewed before it was merged
  approvals_min = 1
}

invariant "contractors get half an hour at most" {
  who     = ["group:contractors"]
  longest = "30m"
}

invariant "nothing lasts longer than a working day" {
  longest = "8h"
}

# The engine counts no such consent in any case; the policies say the same, so that they can be read by themselves.
invariant "nobody consents to their own request" {
  self_approval = false
}

invariant "whoever may ask for something finds someone else who may consent" {
  except          = ["pat"] # leads the platform alone; with a second lead this exception can go
  approver_exists = true
}
