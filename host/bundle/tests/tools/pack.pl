# Packs the present folder: perl pack.pl OUT
use Archive::Tar; use File::Find;
my ($out, @files) = shift;
find({ no_chdir => 1, wanted => sub { push @files, s{^\./}{}r if -f } }, ".");
Archive::Tar->create_archive($out, 0, @files) or die Archive::Tar->error;
