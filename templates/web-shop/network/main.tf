# `terraform_data` is built in: no provider is downloaded. In a real template this would be a network.

variable "region" {
  type = string
}

variable "environment" {
  type = string
}

resource "terraform_data" "network" {
  input = { region = var.region, name = "${var.environment}-network" }
}

resource "terraform_data" "subnet" {
  input            = { network = terraform_data.network.id, range = "10.20.0.0/24" }
  triggers_replace = [terraform_data.network.id]
}

output "subnet_id" {
  value = terraform_data.subnet.id
}
