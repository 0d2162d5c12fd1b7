package xms

// maxFeedback limits the recipients in one feedback call; more are answered 400. Sinch documents no limit for feedback,
// so this is Sinch's limit for the recipients of a batch.
const maxFeedback = 1000

// ReadFeedback returns the phone numbers in the body of a delivery feedback call: as digits, each once, in the order of
// the body. An empty result means every recipient of the batch. It returns an *Error if the body is invalid.
func ReadFeedback(body []byte) ([]string, error) {
	var request struct {
		Recipients *[]string `json:"recipients"`
	}
	if err := Decode(body, &request); err != nil {
		return nil, err
	}
	if request.Recipients == nil {
		return nil, Violation("recipients is missing")
	}
	if len(*request.Recipients) > maxFeedback {
		return nil, Violation("recipients must have at most %d elements", maxFeedback)
	}
	seen := make(map[string]bool, len(*request.Recipients))
	var numbers []string
	for _, written := range *request.Recipients {
		number, ok := Digits(written)
		if !ok {
			return nil, InvalidFormat(written, "number")
		}
		if !seen[number] {
			seen[number] = true
			numbers = append(numbers, number)
		}
	}
	return numbers, nil
}
