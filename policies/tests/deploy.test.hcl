# What CI jobs may do: nobody has to consent, so the token alone decides.

at = "2026-11-21T09:00:00Z"

token "main" {
  workload = "payments-ci"
  claims = {
    ref        = "refs/heads/main"
    event_name = "push"
  }
}

token "branch" {
  workload = "payments-ci"
  claims = {
    ref        = "refs/heads/feature"
    event_name = "push"
  }
}

# A pull request of anyone's runs on `main` too, as far as `ref` goes.
token "pull-request" {
  workload = "payments-ci"
  claims = {
    ref        = "refs/heads/main"
    event_name = "pull_request_target"
  }
}

# The repository was moved to another owner.
token "moved" {
  workload = "payments-ci"
  claims = {
    ref                 = "refs/heads/main"
    event_name          = "push"
    repository_owner_id = "78"
  }
}

test "payments is deployed from its main branch" {
  scope = "payments-deploy"

  cases = [
    { token = "main", longest = "20m", expect = "granted", policies = ["payments.deploy.ci"] },
    { token = "branch", duration = "1m", expect = "denied", policies = ["payments.deploy.ci"] },
    { token = "pull-request", duration = "1m", expect = "denied", policies = ["payments.deploy.ci"] },
    { token = "moved", duration = "1m", expect = "denied", policies = [] },
    { user = "lee", duration = "1m", expect = "denied", policies = [] },
  ]
}

test "the job reaches nothing else" {
  token = "main"

  cases = [
    { scope = "prod-db-read", duration = "1m", expect = "denied", policies = [] },
    { scope = "staging-admin", duration = "1m", expect = "denied", policies = [] },
    { scope = "prod-admin", duration = "1m", expect = "denied", policies = [] },
  ]
}

who_can "payments-deploy" {
  granted = {
    "20m" = ["token:main"]
  }
}
