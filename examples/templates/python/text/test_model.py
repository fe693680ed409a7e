"""Tests of the model, without a server."""

import unittest

from belljar_guest import InvalidInput, TextRequest

import model


def answer(prompt, seed=0):
    return "".join(model.go_on(TextRequest(prompt, seed=seed)))


class ModelTest(unittest.TestCase):
    def setUp(self):
        model.followers.clear()
        model.read_words()

    def test_a_seed_gives_one_text(self):
        self.assertEqual(answer("the bell", 7), answer("the bell", 7))
        self.assertEqual(answer("the bell", 7), "rings under the bell is new. ")

    def test_words_follow_words(self):
        text = ["bell"] + answer("bell", 3).split()
        for word, follower in zip(text, text[1:]):
            self.assertIn(follower, model.followers[word])

    def test_nothing_said_is_the_callers_fault(self):
        with self.assertRaises(InvalidInput):
            answer(" ")
