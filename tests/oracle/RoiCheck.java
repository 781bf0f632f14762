import ij.gui.Roi;
import ij.io.RoiDecoder;
import java.nio.file.*;
import java.util.*;
import java.util.zip.*;

/** Areas of the regions in ImageJ's zips, against a table's: java -cp ij.jar RoiCheck.java OUT */
public class RoiCheck {
    public static void main(String[] args) throws Exception {
        Map<String, List<Integer>> areas = new HashMap<>();
        List<String> lines = Files.readAllLines(Path.of(args[0], "measurements.csv"));
        for (String line : lines.subList(1, lines.size())) {
            String[] f = line.split(",");
            String name = Path.of(f[0]).getFileName().toString().replaceAll("\\.[^.]*$", "");
            areas.computeIfAbsent(name, k -> new ArrayList<>()).add(Integer.parseInt(f[4]));
        }
        int regions = 0, wrong = 0, composite = 0;
        for (var entry : areas.entrySet()) {
            int i = 0;
            try (ZipInputStream zip = new ZipInputStream(Files.newInputStream(Path.of(args[0], "imagej", entry.getKey() + ".zip")))) {
                for (ZipEntry e; (e = zip.getNextEntry()) != null; i++) {
                    Roi roi = new RoiDecoder(zip.readAllBytes(), e.getName()).getRoi();
                    if (roi.getType() == Roi.COMPOSITE) composite++;
                    int area = roi.getContainedPoints().length, want = entry.getValue().get(i);
                    if (area != want) {
                        wrong++;
                        System.out.println(e.getName() + " " + roi.getTypeAsString() + " " + area + ", not " + want);
                    }
                    regions++;
                }
            }
            if (i != entry.getValue().size()) System.out.println(entry.getKey() + ": " + i + " regions");
        }
        System.out.println(regions + " regions, " + composite + " composite, " + wrong + " of another area; ImageJ "
            + ij.ImageJ.VERSION);
        System.exit(wrong == 0 ? 0 : 1);
    }
}
