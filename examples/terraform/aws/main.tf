# What the AWS provider would do, with `curl`, so that the example runs without a registry: one call that changes a database.

variable "region" {
  type      = string
  ephemeral = true
}

variable "access_key" {
  type      = string
  sensitive = true
  ephemeral = true
}

variable "secret_key" {
  type      = string
  sensitive = true
  ephemeral = true
}

variable "token" {
  type      = string
  sensitive = true
  ephemeral = true
}

variable "endpoint" {
  type = string
}

variable "instance_class" {
  type = string
}

resource "terraform_data" "database" {
  triggers_replace = var.instance_class

  provisioner "local-exec" {
    quiet   = true
    command = <<-EOT
      curl --fail -sS -o /dev/null --aws-sigv4 "aws:amz:$REGION:rds" --user "$ACCESS_KEY:$SECRET_KEY" \
        -H "x-amz-security-token: $TOKEN" \
        -d 'Action=ModifyDBInstance&Version=2014-10-31&DBInstanceIdentifier=payments&DBInstanceClass=${var.instance_class}' \
        '${var.endpoint}' && echo 'payments is ${var.instance_class} now'
    EOT
    environment = {
      REGION     = var.region
      ACCESS_KEY = var.access_key
      SECRET_KEY = var.secret_key
      TOKEN      = var.token
    }
  }
}
