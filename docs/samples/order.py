# Orders an environment and waits until it is there: python3 order.py amqp://guest:guest@localhost/ shop web-shop
import json, sys, uuid
import pika

url, name, template = sys.argv[1:4]
channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
channel.confirm_delivery()  # with mandatory below: raises when no queue has taken the order
answers = channel.queue_declare("", exclusive=True).method.queue
order = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "https://shop.example.com/order",
         "type": "environment.create", "data": {"name": name, "template": template}}
properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2,
                                  reply_to=answers, correlation_id=order["id"])
channel.basic_publish("glasshouse.commands", order["type"], json.dumps(order), properties, mandatory=True)
for _method, _properties, body in channel.consume(answers, auto_ack=True):
    answer = json.loads(body)
    print(answer["type"], answer["data"]["error"] or "", flush=True)
    if answer["type"] != "command.accepted":
        sys.exit(answer["type"] != "command.completed")
