at = "2026-11-20T09:00:00Z"

invariant "nothing" {
  scopes = ["db-read"]
}

invariant "of nothing" {
  scopes = ["environment:staging"]
  who    = ["workload:shop", "token:main"]
  longest = "1h"
  self_approval = true
}
