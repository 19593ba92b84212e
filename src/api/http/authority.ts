import type { Api, Handlers } from "./api.ts";

export function authorityHandlers(api: Api): Pick<Handlers, "listAuthorities"> {
  return {
    listAuthorities: async () => {
      const items = await api.services.listAuthorities();
      return { items: items.map((one) => ({ ...one })), next: null };
    },
  };
}
