// Orders an environment and waits until it is there: go run . amqp://guest:guest@localhost/ shop web-shop
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func main() {
	url, name, template := os.Args[1], os.Args[2], os.Args[3]
	channel := must(must(amqp.Dial(url)).Channel())
	must(0, channel.Confirm(false))
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	answers := must(channel.QueueDeclare("", false, false, true, false, nil)).Name
	deliveries := must(channel.Consume(answers, "", true, true, false, false, nil))
	id := fmt.Sprintf("order-%s-%d", name, time.Now().UnixNano())
	order := must(json.Marshal(map[string]any{"specversion": "1.0", "id": id, "source": "https://shop.example.com/order",
		"type": "environment.create", "data": map[string]any{"name": name, "template": template}}))
	message := amqp.Publishing{ContentType: "application/cloudevents+json", DeliveryMode: amqp.Persistent,
		ReplyTo: answers, CorrelationId: id, Body: order}
	confirm := must(channel.PublishWithDeferredConfirmWithContext(context.Background(),
		"glasshouse.commands", "environment.create", true, false, message))
	if !confirm.Wait() || len(returned) > 0 {
		must(0, fmt.Errorf("no queue has taken the order"))
	}
	for delivery := range deliveries {
		var answer struct {
			Type string
			Data struct{ Error any }
		}
		must(0, json.Unmarshal(delivery.Body, &answer))
		fmt.Println(answer.Type, answer.Data.Error)
		if answer.Type != "command.accepted" {
			if answer.Type != "command.completed" {
				os.Exit(1)
			}
			return
		}
	}
}
