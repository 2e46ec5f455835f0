// Sent with every update, so it is small: the chart's own code comes once, from the static folder.
// The page has its scripts from <base>/static/js/, whatever base a proxy or server.baseUrlPath gives it.
const base = document.querySelector("script[src*='static/js/']").src.split("/static/js/")[0];
const chart = import(`${base}/app/static/MODULE`);

export default async function (component) {
  const spec = JSON.parse(new TextDecoder().decode(component.data));
  component.parentElement.style.minHeight ||= `${spec.height}px`; // the page does not jump while the code loads
  return (await chart).show(component, spec);
}
