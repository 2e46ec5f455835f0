"""A person at the app without a browser: Streamlit's own websocket and protobuf messages (written for Streamlit 1.67).

    session = await Session("http://127.0.0.1:8501", page="train").open()
    await session.choose("kind_1", 0)      # the first option of the widget with this key
    await session.press("train")
    for fragment, seconds in session.auto.items():
        await session.refresh(fragment)    # what a browser does every so many seconds

A call ends when the server says that the script has finished, so its duration is what a person waits for, less the
drawing. The package `websockets` comes with Streamlit, which needs it itself.
"""

import asyncio
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

TIMEOUT = 120.0
"""Seconds after which a run of the script counts as lost."""


class Session:
    """One browser tab on one page. `query` is the address after the question mark."""

    def __init__(self, url: str, page: str = "", query: str = "") -> None:
        self.url, self.page, self.query = url, page, query
        self.auto: dict[str, float] = {}
        """Fragments that renew themselves: id -> seconds between two looks."""
        self.exceptions: list[str] = []
        """What every exception that the page showed says."""
        self.received = 0
        """Bytes of the last run of the script."""
        self._page_hash = ""
        self._widgets: dict[str, Any] = {}  # key -> the element's protobuf message
        self._chosen: dict[str, WidgetState] = {}  # id -> state
        self._socket: ClientConnection | None = None

    async def open(self) -> "Session":
        """Connect and run the page."""
        address = self.url.replace("http", "ws", 1) + "/_stcore/stream"
        self._socket = await connect(address, subprotocols=["streamlit"], max_size=None, compression=None)
        await self._run()
        return self

    async def close(self) -> None:
        if self._socket:
            await self._socket.close()

    async def reload(self) -> None:
        """What F5 does: the same address in a new session."""
        await self.close()
        self._page_hash = ""
        self._chosen.clear()
        await self.open()

    async def visit(self, page: str) -> None:
        """Press a page's name in the menu: the address begins anew, the session goes on."""
        self.page, self.query, self._page_hash = page, "", ""
        await self._run()

    def has(self, key: str) -> bool:
        """Whether the page shows a widget with this key."""
        return key in self._widgets

    async def press(self, key: str) -> None:
        """Press the button with this key."""
        await self._run(pressed=WidgetState(id=self._widgets[key].id, trigger_value=True))

    async def choose(self, key: str, option: int) -> None:
        """Set a selectbox, a segmented control or a select slider to one of its options."""
        widget = self._widgets[key]
        words = widget.options[option]
        words = words if isinstance(words, str) else words.content
        state = WidgetState(id=widget.id)
        if widget.DESCRIPTOR.name == "Selectbox":
            state.string_value = words
        else:
            state.string_array_value.data.append(words)
        self._chosen[widget.id] = state
        await self._run()

    async def slide(self, key: str, value: float) -> None:
        """Move the slider with this key."""
        widget_id = self._widgets[key].id
        state = self._chosen[widget_id] = WidgetState(id=widget_id)
        state.double_array_value.data.append(value)
        await self._run()

    async def refresh(self, fragment: str) -> None:
        """Run one fragment of the page again, as its timer does."""
        await self._run(fragment)

    async def _run(self, fragment: str = "", pressed: WidgetState | None = None) -> None:
        message = BackMsg()
        wish = message.rerun_script
        wish.query_string, wish.page_script_hash = self.query, self._page_hash
        wish.page_name = "" if self._page_hash else self.page
        wish.fragment_id, wish.is_auto_rerun = fragment, bool(fragment)
        wish.widget_states.widgets.extend([*self._chosen.values(), *([pressed] if pressed else [])])
        assert self._socket, "open() comes first"
        await self._socket.send(message.SerializeToString())
        async with asyncio.timeout(TIMEOUT):
            finished, self.received = False, 0
            while not finished:
                answer = await self._socket.recv()
                self.received += len(answer)
                finished = self._read(ForwardMsg.FromString(answer))  # type: ignore[arg-type]

    def _read(self, message: ForwardMsg) -> bool:
        """Take over what the server says; True when the script has come to its end. Nothing is kept for a later run as
        a browser would, so the server sends every element whole.
        """
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._page_hash = message.new_session.page_script_hash
            if not message.metadata.run.fragment_ids:  # the whole page declares its fragments anew
                self.auto.clear()
                self._widgets.clear()
        elif kind == "navigation":
            self._page_hash = message.navigation.page_script_hash or self._page_hash
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "auto_rerun":
            self.auto[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self.auto.pop(fragment, None)
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._read_element(message.delta.new_element)
        elif kind == "script_finished":
            return message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        return False

    def _read_element(self, delta: Any) -> None:
        element = getattr(delta, delta.WhichOneof("type"))
        if element.DESCRIPTOR.name == "Exception":
            self.exceptions.append(element.message)
        elif getattr(element, "id", ""):
            self._widgets[element.id.split("-", 2)[-1]] = element  # an id is $$ID-<hash>-<key>
