scope "db-read" {
  description = ["Read", "the database"]
  system      = 7
  environment = ""
  owners      = 2.5

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}
