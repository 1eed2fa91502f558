/** Asks the browser for a passkey, and sends its answer with the form that asked. What is to be
 * signed, and by which keys, is the server's word: it stands in the form. */

interface Descriptor {
  id: string;
  type: PublicKeyCredentialType;
}

interface Options {
  challenge: string;
  user?: { id: string; name: string; displayName: string };
  excludeCredentials?: Descriptor[];
  allowCredentials?: Descriptor[];
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function text(buffer: ArrayBuffer | null): string | null {
  if (buffer === null) return null;
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function named(keys: Descriptor[] | undefined): PublicKeyCredentialDescriptor[] {
  return (keys ?? []).map((one) => ({ ...one, id: bytes(one.id) }));
}

function about(made: PublicKeyCredential): object {
  return { id: made.id, rawId: text(made.rawId), type: made.type, clientExtensionResults: {} };
}

/** A new key, as the server reads it (WebAuthn, RegistrationResponseJSON). */
async function created(options: Options): Promise<object> {
  const asked = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user?.id ?? "") },
    excludeCredentials: named(options.excludeCredentials),
  } as unknown as PublicKeyCredentialCreationOptions;
  const made = (await navigator.credentials.create({ publicKey: asked })) as PublicKeyCredential;
  const response = made.response as AuthenticatorAttestationResponse;
  return {
    ...about(made),
    response: {
      clientDataJSON: text(response.clientDataJSON),
      attestationObject: text(response.attestationObject),
      transports: response.getTransports(),
    },
  };
}

/** A signature of a key that is there (WebAuthn, AuthenticationResponseJSON). */
async function signed(options: Options): Promise<object> {
  const asked = {
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: named(options.allowCredentials),
  } as PublicKeyCredentialRequestOptions;
  const made = (await navigator.credentials.get({ publicKey: asked })) as PublicKeyCredential;
  const response = made.response as AuthenticatorAssertionResponse;
  return {
    ...about(made),
    response: {
      clientDataJSON: text(response.clientDataJSON),
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      userHandle: text(response.userHandle),
    },
  };
}

function watch(form: HTMLFormElement): void {
  const button = form.querySelector<HTMLButtonElement>("[data-passkey-button]");
  const answer = form.querySelector<HTMLInputElement>("[data-passkey-answer]");
  const problem = form.querySelector<HTMLElement>("[data-passkey-problem]");
  if (button === null || answer === null || problem === null) return;
  if (typeof PublicKeyCredential === "undefined") {
    problem.textContent = problem.dataset["none"] ?? "";
    problem.hidden = false;
    return;
  }
  const ask = async (): Promise<void> => {
    if (!form.reportValidity()) return;
    const options = JSON.parse(form.dataset["options"] ?? "{}") as Options;
    const make = form.dataset["passkey"] === "create" ? created : signed;
    button.disabled = true;
    problem.hidden = true;
    try {
      answer.value = JSON.stringify(await make(options));
      form.submit();
    } catch {
      problem.textContent = problem.dataset["failed"] ?? "";
      problem.hidden = false;
    } finally {
      button.disabled = false;
    }
  };
  button.hidden = false;
  button.addEventListener("click", () => void ask());
  // Enter in a field asks the device too, since there is nothing to send before.
  form.addEventListener("submit", (event) => {
    if (answer.value === "") {
      event.preventDefault();
      void ask();
    }
  });
}

document.querySelectorAll<HTMLFormElement>("form[data-passkey]").forEach(watch);
