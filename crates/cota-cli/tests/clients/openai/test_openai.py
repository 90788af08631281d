"""Chat completions as PyPI's openai speaks them."""

import os
import unittest

import openai

STORY = "Once upon a time. " * 40
# Only catches a hang.
CLIENT = openai.OpenAI(base_url=os.environ["COTA_URL"] + "/v1", api_key="none", max_retries=0, timeout=60)


def says(content):
    return [{"role": "user", "content": content}]


def create(text="hi", conversation=None, **request):
    headers = {"X-Conversation-Id": conversation} if conversation else {}
    request = {"model": "chat", "messages": says(text)} | request
    return CLIENT.chat.completions.create(**request, extra_headers=headers)


class Completions(unittest.TestCase):
    def test_the_models_are_the_bots(self):
        self.assertEqual([model.id for model in CLIENT.models.list()], ["chat", "latest", "pay"])

    def test_the_messages_are_the_past(self):
        messages = says("my name is Ana") + [{"role": "assistant", "content": "Hello Ana!"}] + says("who am I?")
        completion = create(messages=messages, temperature=0.2, user="ana")
        self.assertEqual(completion.choices[0].message.content, "You are Ana.")
        usage = completion.usage
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)

    def test_with_the_header_the_record_is_the_past(self):
        create("my name is Ana", "py-kept", user="ana")
        self.assertEqual(create("who am I?", "py-kept", user="ana").choices[0].message.content, "You are Ana.")

    def test_an_answer_streams_in_pieces_and_tells_what_it_cost(self):
        for conversation in (None, "py-stream"):
            with self.subTest(conversation):
                chunks = list(create("a story", conversation, stream=True, stream_options={"include_usage": True}))
                pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
                self.assertEqual("".join(pieces), STORY)
                self.assertGreater(len(pieces), 3)
                self.assertEqual(chunks[-2].choices[0].finish_reason, "stop")
                self.assertEqual(chunks[-1].choices, [])
                self.assertIsNotNone(chunks[-1].usage.total_tokens)

    def test_a_turn_that_fails_in_the_middle_of_its_stream_is_an_error_there(self):
        stream = create("a story", "py-latest", model="latest", stream=True)
        later = None
        with self.assertRaises(openai.APIError) as raised:
            for chunk in stream:
                if later is None and chunk.choices[0].delta.content:
                    later = create("my name is Ana", "py-latest", model="latest")
        self.assertEqual(raised.exception.code, "superseded")
        self.assertEqual(later.choices[0].message.content, "You are Ana.")

    def test_refusals_are_the_clients_own_errors(self):
        tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
        for request, kind, param in (
            ({"tools": [tool]}, openai.BadRequestError, "tools"),
            ({"n": 2}, openai.BadRequestError, "n"),
            ({"messages": []}, openai.BadRequestError, "messages"),
            ({"model": "gpt-4o"}, openai.NotFoundError, "model"),
        ):
            with self.subTest(param), self.assertRaises(kind) as raised:
                create(**request)
            self.assertEqual(raised.exception.param, param)
        with self.assertRaises(openai.BadRequestError):
            create("hi", "two words")

    def test_what_may_happen_only_once_needs_a_conversation_that_is_kept(self):
        for stream in (False, True):
            with self.subTest(stream), self.assertRaisesRegex(openai.BadRequestError, "X-Conversation-Id"):
                create("pay the rent", model="pay", stream=stream)


if __name__ == "__main__":
    unittest.main()
