"""A client of VoiceEdge's API, which needs nothing but httpx: requests are values, sent by either of two clients.

with Client("https://voice.example", key) as client:
    conversation = client.send(open_conversation("kakao", "room-8812", intent="delivery"))
    client.send(add_turn(conversation["id"], "customer", "아직 안 왔어요"))

async with AsyncClient("https://voice.example", key) as client:
    async for cursor, event in client.events():
        ...
"""

from voiceedge.client.answers import Call, Conversation, ConversationPage, Resolved, Ticket, Webhook
from voiceedge.client.requests import (
    Request,
    add_turn,
    call_back,
    change_conversation,
    close_conversation,
    issue_token,
    open_conversation,
    order_call,
    read_call,
    read_conversation,
    resolve_token,
    search_conversations,
    subscribe,
    unsubscribe,
)
from voiceedge.client.sending import ApiError, AsyncClient, Client
from voiceedge.client.signature import verified

__all__ = [
    "ApiError",
    "AsyncClient",
    "Call",
    "Client",
    "Conversation",
    "ConversationPage",
    "Request",
    "Resolved",
    "Ticket",
    "Webhook",
    "add_turn",
    "call_back",
    "change_conversation",
    "close_conversation",
    "issue_token",
    "open_conversation",
    "order_call",
    "read_call",
    "read_conversation",
    "resolve_token",
    "search_conversations",
    "subscribe",
    "unsubscribe",
    "verified",
]
