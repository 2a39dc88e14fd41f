// Reads the command line, and checks points and boxes as sam2lab/runtime/prompts.py does.
#include <cmath>
#include <set>

#include "sam2lab.h"

namespace sam2lab {

const char HELP[] = R"(sam2lab-segment MODEL_FOLDER PHOTO [PROMPTS] --out MASK.png

Segments what points and a box show in a JPEG or PNG photo, with a model that
python -m sam2lab export wrote. Pixels count from the top left, x before y.

prompts, at least one:
  --point X,Y           a point on the object; may be given several times
  --point X,Y,0         a point beside the object
  --box X0,Y0,X1,Y1     two opposite corners of a box around the object

files:
  --out MASK.png        the mask with the best score, white on black, of the
                        photo's size
  --all-candidates      write all three, MASK_1.png to MASK_3.png
  --repeat N            answer N times, and
  --csv TIMES.csv       write the times of each answer in milliseconds, and
                        the peak of memory so far in 10^6 bytes

how it runs:
  --threads N           threads of one operator; without it, one for each core
  --onnxruntime FILE    onnxruntime's shared library; without it, that of the
                        variable SAM2LAB_ONNXRUNTIME, the system's, or that of
                        the wheel in the active Python environment

exit codes: 0 done, 2 arguments or prompts, 3 the model, 4 the photo,
5 onnxruntime, 6 a file cannot be written, 1 anything else
)";

namespace {

const char SEE_HELP[] = "; sam2lab-segment --help lists what there is";

// The numbers between commas, of which `fewest` to `most` are wanted.
std::vector<double> numbers(const std::string& option, const std::string& given, std::size_t fewest,
                            std::size_t most, const std::string& wanted) {
    std::istringstream rest(given + ",");
    std::vector<double> found;
    char comma = ',';
    for (double number; comma == ',' && rest >> std::noskipws >> number >> comma;)
        found.push_back(number);
    if (comma != ',' || !rest.eof() || found.size() < fewest || found.size() > most)
        throw Failure(ARGUMENTS, option, " is '", given, "'; wanted ", wanted);
    return found;
}

Point point(const std::string& given) {
    const std::vector<double> found = numbers(
        "--point", given, 2, 3, "x,y on the object, or x,y,0 beside it, in pixels of the photo");
    const double label = found.size() == 3 ? found[2] : 1;
    if (label != 0 && label != 1)
        throw Failure(ARGUMENTS, "--point has the label ", label,
                      "; wanted 1 on the object or 0 beside it");
    return {found[0], found[1], label};
}

int whole(const std::string& option, const std::string& given, int most) {
    const std::string wanted = text("a whole number from 1 to ", most);
    const double number = numbers(option, given, 1, 1, wanted)[0];
    if (number < 1 || number > most || number != std::floor(number))
        throw Failure(ARGUMENTS, option, " is '", given, "'; wanted ", wanted);
    return int(number);
}

// Appends a point in model pixels, in the original's float32 steps.
void add_scaled(std::vector<float>& coords, const char* option, double x, double y, Size photo,
                Size input) {
    const double width = photo.width, height = photo.height;
    if (std::fabs(x - width / 2) > width || std::fabs(y - height / 2) > height)
        throw Failure(ARGUMENTS, option, " holds the point (", x, ", ", y,
                      "), out of the photo by more than half its size; wanted x from ", -width / 2,
                      " to ", 1.5 * width, " and y from ", -height / 2, " to ", 1.5 * height,
                      ", in pixels of the ", width, " x ", height, " photo, x before y");
    coords.push_back(float(x) / float(width) * float(input.width));
    coords.push_back(float(y) / float(height) * float(input.height));
}

}  // namespace

Arguments parse(const std::vector<std::string>& words) {
    static const std::set<std::string> with_value = {
        "--point", "--box", "--out", "--threads", "--repeat", "--csv", "--onnxruntime"};
    Arguments found;
    std::vector<std::string> places;
    std::map<std::string, std::string> given;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& option = words[i];
        if (option == "--all-candidates") found.all_candidates = true;
        else if (option[0] != '-') places.push_back(option);
        else if (!with_value.count(option))
            throw Failure(ARGUMENTS, "there is no ", option, SEE_HELP);
        else if (++i == words.size())
            throw Failure(ARGUMENTS, option, " lacks its value", SEE_HELP);
        else if (option == "--point") found.points.push_back(point(words[i]));
        else if (option == "--box" && given.count(option))
            throw Failure(ARGUMENTS, "--box is given twice; one box goes with one mask");
        else given[option] = words[i];
    }
    if (given.count("--threads")) found.threads = whole("--threads", given["--threads"], 1024);
    if (given.count("--repeat")) found.repeat = whole("--repeat", given["--repeat"], 1000000);
    if (given.count("--box"))
        found.box = numbers("--box", given["--box"], 4, 4, "two opposite corners, x0,y0,x1,y1");
    if (places.size() != 2)
        throw Failure(ARGUMENTS, "wanted a model's folder and a photo, not ", places.size(),
                      " of them", SEE_HELP);
    if (found.points.empty() && found.box.empty())
        throw Failure(ARGUMENTS, "no prompt; wanted --point X,Y or --box X0,Y0,X1,Y1");
    const std::string out = given["--out"];
    if (path_of(out).extension() != ".png")
        throw Failure(ARGUMENTS, "--out is ", out.empty() ? "missing" : "'" + out + "'",
                      "; wanted a file that ends in .png");
    if (given.count("--repeat") != given.count("--csv"))
        throw Failure(ARGUMENTS, "--repeat and --csv go together; ",
                      given.count("--repeat") ? "--csv" : "--repeat", " is missing");
    found.model = path_of(places[0]), found.photo = path_of(places[1]);
    found.out = path_of(out), found.csv = path_of(given["--csv"]);
    found.onnxruntime = given["--onnxruntime"];
    return found;
}

Prompt encode_prompt(const Arguments& asked, Size photo, Size input) {
    Prompt encoded;
    std::vector<float>& coords = encoded.coords;
    const std::vector<double>& box = asked.box;
    if (!box.empty()) {
        for (int i : {0, 2}) add_scaled(coords, "--box", box[i], box[i + 1], photo, input);
        if (coords[0] > coords[2]) std::swap(coords[0], coords[2]);
        if (coords[1] > coords[3]) std::swap(coords[1], coords[3]);
        encoded.labels = {2, 3};
    }
    for (const Point& each : asked.points) {
        add_scaled(coords, "--point", each.x, each.y, photo, input);
        encoded.labels.push_back(float(each.label));
    }
    return encoded;
}

}  // namespace sam2lab
