at = "2026-11-20T09:00:00Z"

token "main" {
  workload = "shop-ci"
  claims   = { ref = "refs/heads/main" }
}

token "branch" {
  workload = "shop-ci"
}

who_can "deploy" {
  granted = { "20m" = ["token:main"] }
}

invariant "people deploy nothing" {
  scopes        = ["deploy"]
  except        = ["workload:shop-ci"]
  approvals_min = 32
}

invariant "the pipeline gets 20 minutes at most" {
  who     = ["workload:shop-ci"]
  scopes  = ["system:shop"]
  longest = "20m"
}
