variable "subnet" {
  type = string
}

resource "terraform_data" "primary" {
  input = { subnet = var.subnet, host = "db.${substr(var.subnet, 0, 8)}.internal" }
}

output "host" {
  value = terraform_data.primary.output.host
}
