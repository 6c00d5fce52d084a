scope "db-read" {
  description = "Read the database"
  system      = "shop"
  environment = "prod"
  owners      = "engineering"
  aws {
    role_arn       = "arn:aws:iam::123456789012:role/db-read"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}

scope "deploy" {
  description = "Roll out the shop"
  system      = "shop"
  environment = "prod"
  owners      = "engineering"
  aws {
    role_arn       = "arn:aws:iam::123456789012:role/deploy"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "ecs:UpdateService", Resource = "*" }] }
  }
}
