scope "db" {
  description = "The database"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  break_glass {
    announce   = ["leads", "security"]
    review_ttl = "24h"
  }

  escalation {
    after = "1s"
    to    = "leads"
  }

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds:DescribeDBInstances", Resource = "*" }] }
  }
}

scope "web" {
  description = "The web servers"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-web"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "ecs:DescribeServices", Resource = "*" }] }
  }
}
