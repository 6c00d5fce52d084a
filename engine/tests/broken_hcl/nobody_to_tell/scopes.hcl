scope "db-read" {
  description = "Read the database"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  break_glass {
    announce = ["strangers", "absent"]
  }

  escalation {
    after = "10m"
    to    = "strangers"
  }

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}

scope "db-write" {
  description = "One of the groups has somebody, and that is enough"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  break_glass {
    announce = ["strangers", "leads"]
  }

  escalation {
    after = "10m"
    to    = "everyone"
  }

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}
