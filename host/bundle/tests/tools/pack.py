# Packs the present folder: python3 pack.py FORMAT OUT
import os, sys, tarfile
form, out = sys.argv[1:]
formats = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT}
headers = {"comment": "built", "ACME.build": "7"} if form == "pax-global" else None
with tarfile.open(out, "w", format=formats.get(form, tarfile.PAX_FORMAT), pax_headers=headers) as archive:
    for name in sorted(os.listdir(".")):
        archive.add(name)
