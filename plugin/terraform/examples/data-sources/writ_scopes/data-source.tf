data "writ_scopes" "mine" {}

output "scopes_without_approval" {
  value = [
    for scope in data.writ_scopes.mine.scopes : scope.name
    if scope.longest_duration != null && length(scope.needs) == 0
  ]
}
