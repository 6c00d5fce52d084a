# What can be asked for. Each scope is one AWS role, narrowed by a session policy, with a name that people say aloud.
#
# Who may have a scope, for how long and with whose consent is not said here: that is access.cedar. Here stands what a
# session of it can do at AWS, at most. Writ adds the window to each session policy: the session allows only before the
# window's end and denies everything from then on.
#
# A new scope: copy a block, rename it, and give its role a trust policy that lets Writ's broker assume it. What a session
# can do is what *both* the role's own policies and the session policy here allow.

scope "payments-deploy" {
  description = "Roll out the payments service"
  system      = "payments"
  environment = "prod"
  owners      = "payments-leads" # the group whose members may approve as `owner`

  # What goes with an emergency, for whoever the policies let break the glass; without this block nobody can. These groups are
  # told at once, and someone else has to close the post-review before its time is up.
  break_glass {
    announce   = ["payments-leads"]
    review_ttl = "72h"
  }

  aws {
    role_arn = "arn:aws:iam::123456789012:role/jit-payments-deploy"
    region   = "eu-west-1"

    session_policy = {
      Statement = [
        {
          Effect   = "Allow"
          Action   = ["ecs:UpdateService", "ecs:DescribeServices"]
          Resource = "arn:aws:ecs:eu-west-1:123456789012:service/payments/*"
        },
      ]
    }
  }
}

scope "prod-db-read" {
  description = "Read-only access to the production payments database"
  system      = "payments"
  environment = "prod"
  owners      = "payments-leads"

  # The three clocks: a request waits this long to be decided, and once approved this long to be activated. The third, the
  # window itself, starts at the first use.
  request_ttl    = "24h"
  activation_ttl = "8h"

  aws {
    role_arn = "arn:aws:iam::123456789012:role/jit-prod-db-read"
    region   = "eu-west-1"

    # The role's own MaxSessionDuration. A longer window is served by several sessions, one after the other.
    max_session = "1h"

    session_policy = {
      Statement = [
        {
          Effect   = "Allow"
          Action   = "rds-db:connect"
          Resource = "arn:aws:rds-db:eu-west-1:123456789012:dbuser:*/payments_readonly"
        },
        { Effect = "Allow", Action = "rds:DescribeDBInstances", Resource = "*" },
      ]
    }
  }
}

scope "staging-admin" {
  description = "Everything the payments team does by hand in staging"
  system      = "payments"
  environment = "staging"
  owners      = "payments-leads"

  aws {
    role_arn    = "arn:aws:iam::123456789012:role/jit-staging-admin"
    region      = "eu-west-1"
    max_session = "4h"

    session_policy = {
      Statement = [
        {
          Effect   = "Allow"
          Action   = ["ecs:*", "rds:*", "logs:*", "s3:*"]
          Resource = "*"

          # Further conditions as IAM knows them; only the time is Writ's own.
          Condition = {
            StringEquals = { "aws:RequestedRegion" = "eu-west-1" }
          }
        },
      ]
    }
  }
}

scope "prod-admin" {
  description = "Administer production; two people have to agree"
  system      = "platform"
  environment = "prod"
  owners      = "platform-leads"

  # Who needs this needs it today: a request that nobody decided, or nobody used, is gone by the evening.
  request_ttl    = "4h"
  activation_ttl = "1h"

  break_glass {
    announce   = ["platform-leads", "security"]
    review_ttl = "72h"
  }

  # When nobody has decided after a while, these are asked too. It gives them no right that the policies do not give.
  escalation {
    after = "30m"
    to    = "security"
  }

  aws {
    role_arn = "arn:aws:iam::123456789012:role/jit-prod-admin"
    region   = "eu-west-1"

    # Short sessions, renewed within the window: when renewals end, so does access soon, whatever AWS is told.
    lease = "15m"

    # No `iam:*` and no `sts:*`: a session that makes users or assumes roles would outlive its window.
    session_policy = {
      Statement = [
        {
          Effect   = "Allow"
          Action   = ["ec2:*", "ecs:*", "rds:*", "s3:*", "logs:*", "cloudwatch:*", "elasticloadbalancing:*"]
          Resource = "*"
        },
      ]
    }
  }
}
