// A Terraform provider whose cloud is a file that it appends to: the outside judge of what Terraform did, also of what a
// killed Terraform never recorded. Its things live nowhere else, have random ids, and are slow to make on both sides of
// the moment at which they come to be.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func main() {
	options := providerserver.ServeOpts{Address: "registry.terraform.io/glasshouse/ledger"}
	if err := providerserver.Serve(context.Background(), newLedger, options); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type ledger struct{}

func newLedger() provider.Provider { return &ledger{} }

func (*ledger) Metadata(_ context.Context, _ provider.MetadataRequest, answer *provider.MetadataResponse) {
	answer.TypeName = "ledger"
}

func (*ledger) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse) {}

func (*ledger) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {}

func (*ledger) DataSources(context.Context) []func() datasource.DataSource { return nil }

func (*ledger) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return &thing{} }}
}

type thing struct{}

// facts are a thing's attributes: the file it is written to, its name, and how long its making takes in all.
type facts struct {
	ID     types.String `tfsdk:"id"`
	File   types.String `tfsdk:"file"`
	Name   types.String `tfsdk:"name"`
	SlowMs types.Int64  `tfsdk:"slow_ms"`
}

func (*thing) Metadata(_ context.Context, _ resource.MetadataRequest, answer *resource.MetadataResponse) {
	answer.TypeName = "ledger_thing"
}

func (*thing) Schema(_ context.Context, _ resource.SchemaRequest, answer *resource.SchemaResponse) {
	replace := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	answer.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"id":      schema.StringAttribute{Computed: true, PlanModifiers: keep},
		"file":    schema.StringAttribute{Required: true, PlanModifiers: replace},
		"name":    schema.StringAttribute{Required: true, PlanModifiers: replace},
		"slow_ms": schema.Int64Attribute{Required: true},
	}}
}

func (*thing) Create(ctx context.Context, request resource.CreateRequest, answer *resource.CreateResponse) {
	var wanted facts
	answer.Diagnostics.Append(request.Plan.Get(ctx, &wanted)...)
	if answer.Diagnostics.HasError() {
		return
	}
	random := make([]byte, 8)
	_, _ = rand.Read(random)
	wanted.ID = types.StringValue(hex.EncodeToString(random))
	half := time.Duration(wanted.SlowMs.ValueInt64()) * time.Millisecond / 2
	time.Sleep(half)
	if err := write(wanted, "made"); err != nil {
		answer.Diagnostics.AddError("The ledger cannot be written", err.Error())
		return
	}
	time.Sleep(half)
	answer.Diagnostics.Append(answer.State.Set(ctx, &wanted)...)
}

func (*thing) Read(ctx context.Context, request resource.ReadRequest, answer *resource.ReadResponse) {
	var known facts
	answer.Diagnostics.Append(request.State.Get(ctx, &known)...)
	if answer.Diagnostics.HasError() {
		return
	}
	text, err := os.ReadFile(known.File.ValueString())
	if err != nil || strings.Contains(string(text), line(known, "gone")) {
		answer.State.RemoveResource(ctx)
	}
}

func (*thing) Update(ctx context.Context, request resource.UpdateRequest, answer *resource.UpdateResponse) {
	var wanted facts
	answer.Diagnostics.Append(request.Plan.Get(ctx, &wanted)...)
	answer.Diagnostics.Append(answer.State.Set(ctx, &wanted)...)
}

func (*thing) Delete(ctx context.Context, request resource.DeleteRequest, answer *resource.DeleteResponse) {
	var known facts
	answer.Diagnostics.Append(request.State.Get(ctx, &known)...)
	if err := write(known, "gone"); err != nil {
		answer.Diagnostics.AddError("The ledger cannot be written", err.Error())
	}
}

func line(of facts, what string) string {
	return fmt.Sprintf("%s %s %s\n", what, of.Name.ValueString(), of.ID.ValueString())
}

// write appends one line in one call, so that lines of several providers do not mix.
func write(of facts, what string) error {
	file, err := os.OpenFile(of.File.ValueString(), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(line(of, what))
	return err
}
