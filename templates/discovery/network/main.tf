# `terraform_data` is built in: no provider is downloaded. In a real template this would be a network.

variable "environment" {
  type = string
}

resource "terraform_data" "subnet" {
  input = { name = "${var.environment}-subnet", range = "10.20.0.0/24" }
}

output "subnet_id" {
  value = terraform_data.subnet.id
}
