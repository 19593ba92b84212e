export { vaultAuthority, type VaultAuthorityOptions } from "./authority.ts";
export { vaultKeeper, type VaultKeeperOptions } from "./keeper.ts";
