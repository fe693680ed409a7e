"""What models can import besides Python's library and their own files: packages of pure Python that
are in requirements.txt, each imported here."""
