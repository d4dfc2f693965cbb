// Deletes groups. Everything else on the page works without JavaScript.
'use strict';

const message = document.getElementById('message');
let groupToDelete = null;

// Listens on the document, because the list is replaced.
document.addEventListener('click', (event) => {
  const button = event.target.closest('button.delete');
  if (button) ask(button);
});
document.addEventListener('close', answered, true);
showButtons();

function showButtons() {
  for (const button of document.querySelectorAll('button.delete')) button.hidden = false;
}

function ask(button) {
  const dialog = document.getElementById('confirm');
  groupToDelete = { path: button.closest('li').dataset.path, name: button.dataset.group };
  dialog.querySelector('.group').textContent = groupToDelete.name;
  dialog.returnValue = 'cancel';
  dialog.showModal();
}

async function answered(event) {
  const group = groupToDelete;
  if (event.target.id !== 'confirm' || event.target.returnValue !== 'delete' || !group) return;
  groupToDelete = null;
  const item = itemOf(document, group.path);
  item?.setAttribute('aria-busy', 'true');
  say(`Deleting ${group.name} …`);
  try {
    say(await deleteGroup(group), 'done');
  } catch (error) {
    say(`${group.name} was not deleted: ${error.message}`, 'failed');
  }
  itemOf(document, group.path)?.removeAttribute('aria-busy');
}

// The path is that of the push, so that Envoy sends the deletion to the owner.
async function deleteGroup(group) {
  const response = await fetch(group.path, { method: 'DELETE' });
  const text = (await response.text()).trim();
  if (!response.ok) {
    throw new Error(text.startsWith('<') || !text ? `status ${response.status}` : text.slice(0, 500));
  }
  // A gateway accepts a deletion before it deletes.
  for (let wait = 100; wait < 5000; wait *= 2) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (await refresh(group.path)) return `Deleted ${group.name}`;
  }
  return `The deletion of ${group.name} was accepted, but a gateway still holds a copy: \`pushring delete\` deletes every copy.`;
}

// Reads the page again, and shows it once the group is gone.
async function refresh(path) {
  const response = await fetch(location.href);
  if (!response.ok) throw new Error(`the list cannot be read: status ${response.status}`);
  const next = new DOMParser().parseFromString(await response.text(), 'text/html');
  if (itemOf(next, path)) return false;
  const open = new Set([...document.querySelectorAll('li[data-path] > details[open]')].map((details) => details.parentElement.dataset.path));
  document.querySelector('main').replaceWith(next.querySelector('main'));
  for (const item of document.querySelectorAll('li[data-path]')) {
    if (open.has(item.dataset.path)) item.firstElementChild.open = true;
  }
  showButtons();
  document.getElementById('groups').focus({ preventScroll: true });
  return true;
}

function itemOf(page, path) {
  return [...page.querySelectorAll('li[data-path]')].find((item) => item.dataset.path === path);
}

function say(text, kind = '') {
  message.textContent = text;
  message.className = kind;
}
