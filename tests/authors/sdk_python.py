"""The SDK for Python as it is tested natively: what models and their tests stand on."""

import math
import pathlib
import struct
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "guest-models" / "sdk-python"))

import belljar_guest as guest
from belljar_guest import _host, _source, errors
from belljar_guest._marks import MODEL
from belljar_guest.embeddings import EmbeddingModel
from belljar_guest.tensors import DATATYPES, TensorModel
from belljar_guest.text import TextModel


class TensorTest(unittest.TestCase):
    def test_each_datatype_comes_back(self):
        for datatype in DATATYPES:
            values = [1, 0, 1]
            if datatype == "BYTES":
                values = [b"cat", b"", b"\xff"]
            tensor = guest.Tensor.of(datatype, [3], values)
            self.assertEqual(list(tensor.values), values, datatype)

    def test_halves_are_rounded_to_even(self):
        for value, fp16, bf16 in [
            (1.0, 0x3C00, 0x3F80),
            (-2.5, 0xC100, 0xC020),
            (1 + 2**-11, 0x3C00, 0x3F80),
            (1 + 3 * 2**-11, 0x3C02, 0x3F80),
            (1 + 3 * 2**-8, 0x3C0C, 0x3F82),
            (2**-24, 0x0001, 0x3380),
            (math.inf, 0x7C00, 0x7F80),
        ]:
            for datatype, half in [("FP16", fp16), ("BF16", bf16)]:
                tensor = guest.Tensor.of(datatype, [1], [value])
                self.assertEqual(struct.unpack("<H", tensor.data), (half,), (datatype, value))
        self.assertTrue(math.isnan(guest.Tensor.of("BF16", [1], [math.nan]).values[0]))
        self.assertEqual(guest.Tensor.of("BF16", [1], [1e39]).values, [math.inf])

    def test_rows(self):
        tensor = guest.Tensor.of("INT32", [2, 3], range(6))
        self.assertEqual(list(tensor.row(1)), [3, 4, 5])
        self.assertEqual(tensor.rows, 2)
        self.assertEqual(list(tensor.like([0] * 6).values), [0] * 6)

    def test_what_does_not_fit_is_the_models_fault(self):
        with self.assertRaisesRegex(guest.Failed, "do not fit UINT8"):
            guest.Tensor.of("UINT8", [1], [256])
        with self.assertRaisesRegex(guest.Failed, "is no datatype"):
            guest.Tensor.of("float32", [1], [1])

    def test_byte_strings_that_lie_are_the_callers_fault(self):
        for data in [b"\1", struct.pack("<I", 5) + b"four", struct.pack("<I", 2**32 - 1)]:
            with self.assertRaises(guest.InvalidInput):
                guest.Tensor("BYTES", [1], data).values

    def test_inputs_and_outputs_by_name(self):
        y = guest.Tensor.of("FP32", [1], [1])
        request = guest.TensorRequest({"x": y})
        with self.assertRaisesRegex(guest.InvalidInput, "no input `z`; the request has: `x`"):
            request["z"]

        def names(given, outputs=(), wanted=()):
            model = TensorModel(lambda request: given, {}, dict.fromkeys(outputs, ("FP32", [1])))
            made = model.infer(guest.TensorRequest({}, wanted))
            return [tensor.name for tensor in made]

        self.assertEqual(names({"a": y}), ["a"])
        self.assertEqual(names([guest.Tensor.of("FP32", [1], [1], "b")]), ["b"])
        self.assertEqual(names(guest.Tensor.of("FP32", [1], [1]), ["only"]), ["only"])
        two = {"a": y, "b": guest.Tensor.of("FP32", [1], [1])}
        self.assertEqual(names(two, wanted=["b"]), ["b"])
        for given in [None, 3, [3], {"a": [1.0]}]:
            with self.assertRaisesRegex(guest.Failed, "it gives a Tensor"):
                names(given)


class TextTest(unittest.TestCase):
    def answer(self, write, max_tokens=10):
        return TextModel(write).start(guest.TextRequest("one two", max_tokens=max_tokens))

    def test_pieces_are_counted_and_the_end_is_told_once(self):
        answer = self.answer(lambda request: iter(["a", guest.Reasoning("hm"), guest.Text("b", [1, 2])]))
        self.assertEqual(len(answer.next(2)), 2)
        last = answer.next(9)
        self.assertEqual([type(piece).__name__ for piece in last], ["Text", "Finish"])
        self.assertEqual(answer.next(9), [])
        counts = answer.prompt_tokens, answer.completion_tokens, answer.reasoning_tokens
        self.assertEqual(counts, (2, 4, 1))

    def test_the_cap_ends_an_answer_that_does_not_end(self):
        def forever(request):
            while True:
                yield "x"

        pieces = self.answer(forever, 3).next(100)
        self.assertEqual(len(pieces), 4)
        self.assertEqual(pieces[-1].reason, "length")

    def test_a_generator_makes_what_is_asked_for_and_no_more(self):
        made = []

        def write(request):
            for number in range(5):
                made.append(number)
                yield str(number)

        answer = self.answer(write)
        self.assertEqual(made, [0])
        answer.next(1)
        self.assertEqual(made, [0])
        answer.next(2)
        self.assertEqual(made, [0, 1, 2])

    def test_a_refusal_comes_before_the_answer(self):
        def refuse(request):
            raise guest.InvalidInput("no")
            yield

        with self.assertRaises(guest.InvalidInput):
            self.answer(refuse)

    def test_what_is_no_piece_is_told(self):
        for write in [lambda request: 3, lambda request: iter([3]), lambda request: iter([None])]:
            with self.assertRaises(guest.Failed):
                self.answer(write)


class EmbeddingTest(unittest.TestCase):
    def test_a_vector_for_each_text(self):
        made = EmbeddingModel(lambda texts, dimensions: [[1, 2]] * len(texts))
        self.assertEqual(made.embed(["a b", "c"])[1], 3)
        with self.assertRaisesRegex(guest.Failed, "1 vectors for 2 texts"):
            EmbeddingModel(lambda texts, dimensions: [[1]]).embed(["a", "b"])
        with self.assertRaisesRegex(guest.Failed, "list of vectors"):
            EmbeddingModel(lambda texts, dimensions: 3).embed(["a"])


class ErrorTest(unittest.TestCase):
    def test_an_exception_is_told_with_its_language_and_the_lines_that_led_there(self):
        def fails():
            return [][1]

        try:
            fails()
        except IndexError as error:
            told = errors.told(error).splitlines()
        self.assertEqual(told[0], "an exception in Python: IndexError: list index out of range")
        line = fails.__code__.co_firstlineno + 1
        self.assertRegex(told[1], f'sdk_python.py", line {line}, in fails')

    def test_what_is_not_there_is_told_with_what_mends_it(self):
        for fails, told in [
            (lambda: open("no/such"), "FileNotFoundError: .*'no/such': a model has no files; assets.read"),
            (lambda: __import__("nompy"), "No module named 'nompy': a component has what is imported"),
        ]:
            with self.assertRaises((OSError, ImportError)) as raised:
                fails()
            self.assertRegex(errors.told(raised.exception), told)


class MarkTest(unittest.TestCase):
    def test_marks_are_written_without_brackets(self):
        for mark in [guest.load, guest.text, guest.embeddings]:
            for arguments in [(), (3,)]:
                with self.assertRaisesRegex(TypeError, f"^@{mark.__name__} is written without brackets$"):
                    mark(*arguments)

    def test_a_load_that_is_async_is_told(self):
        async def read():
            pass

        with self.assertRaisesRegex(TypeError, "^@load marks .*read, which is async.* without async$"):
            guest.load(read)


class AssetTest(unittest.TestCase):
    def test_an_asset_is_read_in_pieces_and_a_missing_one_is_named(self):
        content = bytes(range(256)) * (3 << 12)
        guest.assets.provide("big", content)
        self.assertEqual(guest.assets.read("big"), content)
        self.assertEqual(guest.assets.read("big", 10, 4), content[10:14])
        with self.assertRaisesRegex(guest.Failed, "no asset `assets/x`.*`big`.*relative to the folder"):
            guest.assets.read("assets/x")
        guest.assets.provide("bad", b"\xff")
        with self.assertRaisesRegex(guest.Failed, "not UTF-8"):
            guest.assets.read_text("bad")


# The file of a model of texts.
TEXTS = "from belljar_guest import text\n@text\ndef write(request):\n    yield 'x'\n"


class SourceTest(unittest.TestCase):
    """A base: the model comes from the assets."""

    def setUp(self):
        self.before = set(sys.modules), list(sys.meta_path), errors.import_hint
        self.addCleanup(self.forget)

    def forget(self):
        modules, finders, errors.import_hint = self.before
        for name in set(sys.modules) - modules:
            del sys.modules[name]
        sys.meta_path[:] = finders
        _host.assets.provided.clear()
        _host.hidden = ()
        MODEL.__init__()

    def load(self, files, kinds=("text",)):
        self.forget()
        guest.assets.provide("words.txt", "a b")
        for name, content in files.items():
            guest.assets.provide(f"source/{name}", content)
        _source.load(set(kinds))

    def test_a_base_by_itself_answers_nothing(self):
        self.load({}, ["tensors", "text", "embeddings"])
        self.assertEqual((list(MODEL.tensors[0].inputs), list(MODEL.tensors[0].outputs)), ([], []))
        for ask in [MODEL.tensors[0].infer, MODEL.text[0].start, MODEL.embeddings[0].embed]:
            with self.assertRaisesRegex(guest.Unsupported, "this is a base"):
                ask(None)

    def test_modules_and_packages_are_found_and_data_is_apart(self):
        self.load(
            {
                "model.py": "import near, folder.inner, whole\n"
                "from belljar_guest import assets, load\n"
                + TEXTS
                + "@load\ndef read():\n    global found\n"
                "    found = near.NAME, folder.inner.NAME, whole.deep.NAME, assets.names()\n",
                "near.py": "NAME = __name__, __file__\n",
                "folder/inner.py": "NAME = __name__, __file__\n",
                "whole/__init__.py": "from . import deep\n",
                "whole/deep.py": "from near import NAME as near\nNAME = __package__, near[0]\n",
            }
        )
        near, inner, deep, data = sys.modules["model"].found
        self.assertEqual(near, ("near", "near.py"))
        self.assertEqual(inner, ("folder.inner", "folder/inner.py"))
        self.assertEqual(deep, ("whole", "near"))
        self.assertEqual(data, ["words.txt"])
        with self.assertRaises(ModuleNotFoundError):
            import folder.other
        self.forget()
        with self.assertRaises(ModuleNotFoundError):
            import near

    def test_an_exception_is_told_with_the_names_and_lines_that_the_author_knows(self):
        files = {"model.py": "import folder.inner\n", "folder/inner.py": "x = 1\ny = x / 0  # so\n"}
        try:
            self.load(files)
        except ZeroDivisionError as error:
            told = errors.told(error).splitlines()
        self.assertEqual(told[0], "an exception in Python: ZeroDivisionError: division by zero")
        self.assertEqual(told[1], '  File "folder/inner.py", line 2, in <module>')
        self.assertEqual(told[2], "    y = x / 0  # so")
        self.assertIn('  File "model.py", line 1, in <module>', told)
        for own in ["_source.py", "importlib"]:
            self.assertNotIn(own, "".join(told))

    def test_a_mistake_is_told_with_what_mends_it(self):
        tensors = "from belljar_guest import tensors\n@tensors()\ndef infer(request):\n    pass\n"
        for files, told in [
            ({"model.py": "x = 1\ndef (:\n"}, r"^model\.py, line 2: invalid syntax: def \(:$"),
            ({"model.py": "import a.b", "a/b.py": "\n(1"}, r"^a/b\.py, line 2: .*never closed: \(1$"),
            ({"model.py": b"x = '\xff'\n"}, "^model.py, line 1: .*utf-8"),
            (
                {"model.py": "x = 1\nimport nompy\n"},
                r"^No module named 'nompy' \(model\.py, line 2\): .*beside model.py; .* compiled",
            ),
            (
                {"model.py": "import a.b", "a/b.py": "import winreg"},
                r"^No module named 'winreg' \(a/b\.py, line 1\): .*LIBRARY in sdk/belljar_base.py; "
                r".*packages\.py$",
            ),
            (
                {"model.py": "import a.c", "a/b.py": ""},
                r"^No module named 'a\.c' \(model\.py, line 1\): the source has: `a/b.py`, `model.py`; "
                r".*not end in \.py, such as compiled parts, are not imported$",
            ),
            ({"model.py": "import tests.words"}, "^No module named 'tests' .*: tests are not pushed"),
            ({"model.py": "import test_words"}, "'test_words' .*: tests are not pushed .*another name$"),
            ({"model.py": "import a.b_test", "a/b.py": ""}, r"'a\.b_test' .*: tests are not pushed"),
            ({"mein.py": ""}, "^there is no `model.py` among the source; there are: `mein.py`"),
            (
                {"model.py": TEXTS, "struct/x.py": ""},
                "^struct/x.py: the base has a module `struct` of its own",
            ),
            (
                {"model.py": tensors},
                "^model.py has a function marked with @tensors, and the base is of texts: "
                "name a base of tensors in model.toml$",
            ),
            (
                {"model.py": "x = 1\n"},
                "^the base is of texts, and model.py has no function marked with @text: mark one$",
            ),
        ]:
            with self.subTest(told), self.assertRaisesRegex(guest.Failed, told):
                self.load(files)

    def test_what_a_request_imports_is_told_with_what_mends_it(self):
        self.load({"model.py": TEXTS + "def later():\n    import winreg\n"})
        try:
            sys.modules["model"].later()
        except ModuleNotFoundError as error:
            told = errors.told(error).splitlines()
        self.assertRegex(told[0], "No module named 'winreg': of Python's library a base has what")
        self.assertEqual(told[1], '  File "model.py", line 6, in later')

    def test_a_base_of_two_kinds_takes_a_model_of_both(self):
        both = TEXTS + TEXTS.replace("text", "embeddings").replace("write", "embed")
        with self.assertRaisesRegex(guest.Failed, "the base is of tensors and texts"):
            self.load({"model.py": both}, ["tensors", "text"])
        self.load({"model.py": both}, ["text", "embeddings"])
        self.assertEqual(MODEL.kinds(), {"text", "embeddings"})


unittest.main(verbosity=0)
