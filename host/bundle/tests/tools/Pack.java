// Packs the present folder with Apache Commons Compress: java -cp JAR Pack.java MODE OUT
import java.io.*;
import java.nio.file.*;
import java.util.stream.*;
import org.apache.commons.compress.archivers.tar.*;

public class Pack {
    public static void main(String[] arguments) throws IOException {
        String mode = arguments[0];
        String encoding = mode.equals("ascii") ? "US-ASCII" : "UTF-8";
        OutputStream out = new FileOutputStream(arguments[1]);
        try (TarArchiveOutputStream tar = new TarArchiveOutputStream(out, encoding);
                Stream<Path> paths = Files.walk(Paths.get("."))) {
            tar.setLongFileMode(mode.equals("gnu")
                    ? TarArchiveOutputStream.LONGFILE_GNU : TarArchiveOutputStream.LONGFILE_POSIX);
            tar.setAddPaxHeadersForNonAsciiNames(!mode.equals("gnu"));
            if (mode.equals("star")) {
                tar.setBigNumberMode(TarArchiveOutputStream.BIGNUMBER_STAR);
            }
            for (Path path : paths.sorted().skip(1).collect(Collectors.toList())) {
                String name = path.normalize().toString();
                TarArchiveEntry entry = new TarArchiveEntry(path.toFile(), name);
                tar.putArchiveEntry(entry);
                if (Files.isRegularFile(path)) {
                    Files.copy(path, tar);
                }
                tar.closeArchiveEntry();
            }
        }
    }
}
