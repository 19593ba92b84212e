import type { Command } from "commander";
import { leaf, type Context } from "./call.ts";

export function addCommand(program: Command, context: Context): void {
  leaf(
    { parent: program.command("completion"), context },
    {
      usage: "completion",
      self: true,
      summary: "print the shell's completion script",
      description:
        "Print the completion script for bash, zsh, fish or powershell. Names come from the server.",
      examples: [
        "completion bash > ~/.local/share/bash-completion/completions/glasshouse",
        "completion zsh > ~/.zsh/completions/_glasshouse",
        "completion fish > ~/.config/fish/completions/glasshouse.fish",
      ],
      local: true,
      plain: true,
    },
    async () => 0,
  );
}
