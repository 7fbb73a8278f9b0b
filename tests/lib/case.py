"""What test cases share: asking for a status, and for a problem document of the right form."""

import unittest


class Case(unittest.TestCase):
    def expect(self, answer, status):
        """The answer has this status (or one of these); returns it."""
        wanted = status if isinstance(status, (tuple, list, set)) else (status,)
        self.assertIn(answer.status, wanted, answer)
        return answer

    def expect_problem(self, answer, status, slug=None):
        """A problem document (RFC 9457); returns it."""
        self.expect(answer, status)
        self.assertEqual(answer.headers.get_content_type(), "application/problem+json", answer)
        problem = answer.json
        self.assertEqual(problem["status"], answer.status)
        self.assertTrue(problem["title"])
        self.assertTrue(problem["type"])
        if slug:
            self.assertTrue(problem["type"].endswith(slug), problem)
        return problem
