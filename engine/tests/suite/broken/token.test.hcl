at = "2026-11-20T09:00:00Z"

token "main" {
  workload = "shop-cd"
  claims   = { branch = "main", ref = 1 }
}
