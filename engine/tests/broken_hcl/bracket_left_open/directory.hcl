group "leads" {
  groups = ["everyone"
}
